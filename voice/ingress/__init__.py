"""Twilio's HTTP: the doors through which calls and their callbacks come in. They translate, nothing more."""
