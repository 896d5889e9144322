"""What `make` calls: the local stack's processes, deliveries, nights and queries."""
