"""Sound speed from pulse-echo channel data, and images corrected by it."""
