"""Coming and going: take what another store keeps, and write all of one into plain files."""
