"""What a process prints: kept beside it, shown while it goes, an artifact at the end."""
