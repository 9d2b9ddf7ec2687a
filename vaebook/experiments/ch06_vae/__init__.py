"""What chapter 06 records and measures."""
