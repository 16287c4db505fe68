"""What can be imported: one file a kind of source, all of which tell the same things in the same order."""
