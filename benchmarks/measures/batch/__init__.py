"""What many renderings cost, on one core, two, and a cluster; and what killing one costs."""
