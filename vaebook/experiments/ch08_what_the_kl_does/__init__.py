"""What chapter 08 records and measures."""
