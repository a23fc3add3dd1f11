"""compare.html."""
def compared_page(rows, made_of): return ""
def swept_page(rows, kept, made_of): return ""
