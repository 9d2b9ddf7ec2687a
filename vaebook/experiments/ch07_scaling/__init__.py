"""What chapter 07 records and measures."""
