"""What chapter 01 records and measures."""
