"""What a user says of the body and its instrument: shapes, electrodes, patterns, presets."""
