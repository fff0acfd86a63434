"""The embedded ERP: suppliers, orders, receipts and invoices behind typed MCP tools."""
