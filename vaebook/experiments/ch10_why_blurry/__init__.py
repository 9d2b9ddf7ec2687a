"""What chapter 10 records and measures."""
