"""What happens after the last word: transcript closed, verdict, recording, write-back, one final event."""
