"""What keeps foreign files from doing harm, for readers, counters and commands alike."""
