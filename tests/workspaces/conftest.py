from tests.api.conftest import alice, charlie, files, fresh_limits

__all__ = ["alice", "charlie", "files", "fresh_limits"]
