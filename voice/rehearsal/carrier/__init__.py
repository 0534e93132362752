"""An offline telephone carrier that speaks Twilio's protocols: REST, TwiML, Media Streams, signed webhooks.

It is not Twilio and says so (`Server: tenex-rehearsal`), but it rejects what Twilio rejects. No phone is rung
and nothing leaves the machine: people are scenario files with synthesized voices.
"""
