"""What a battery gauge tells about power: samples, their unit and sign, energy of a window."""
