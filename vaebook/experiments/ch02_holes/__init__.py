"""What chapter 02 records and measures."""
