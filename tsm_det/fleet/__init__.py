"""Many recordings or cameras on many machines, through Ray; docs/fleet.md."""
