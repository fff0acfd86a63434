"""Questions to people: work items with candidates, a summary, a form, and the digest decided on."""
