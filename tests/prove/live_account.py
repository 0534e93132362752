"""The account at the carrier that the live-call promises use."""

ACCOUNT_SID = "AC" + "0" * 32
AUTH_TOKEN = "live-rig-token"
