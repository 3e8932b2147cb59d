"""What a config costs: counted (parameters, FLOPs, memory) and measured (time, by kind of operation)."""
