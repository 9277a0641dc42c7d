"""The page that tells a client what became of an import: HTML that needs nothing but itself."""
