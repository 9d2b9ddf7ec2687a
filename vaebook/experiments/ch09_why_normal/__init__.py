"""What chapter 09 records and measures."""
