"""Nexus beside Synapse on one machine: start them, load them, measure them, print the table."""
