"""UBL 2.1 documents, read as hostile input into values with Decimal amounts."""
