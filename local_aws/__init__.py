"""An embedded AWS that really executes: one process, one port, one state folder."""
