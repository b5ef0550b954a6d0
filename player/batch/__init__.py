"""Many scores with many patches, each to a file: on all cores, or on a cluster of machines."""
