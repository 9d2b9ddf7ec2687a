"""What chapter 04 records and measures."""
