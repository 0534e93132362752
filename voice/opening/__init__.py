"""What an outbound call opens with: reviewed texts by language, and their sound, made before the dial."""
