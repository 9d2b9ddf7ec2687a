"""What chapter 03 records and measures."""
