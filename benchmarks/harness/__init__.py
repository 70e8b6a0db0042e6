"""What every benchmark shares: children, rounds, figures, reports. Knows no library and no scenario."""
