"""Token requests of a window: broken down by what they have in common, and folded into lines.

The page, the API and its CSV all read them here.
"""
