"""What chapter 05 records and measures."""
