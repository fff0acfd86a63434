"""Runs workflows durably: interprets the document, answers from the journal, parks, resumes."""
