"""What every surrogate shares: records, identity, storage, torch."""
