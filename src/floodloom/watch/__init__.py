"""An area that is watched: new scenes are mapped as they appear in a catalogue."""
