.PHONY: autobahn

## autobahn: RFC 6455 conformance of the echo example, by the Autobahn test suite
autobahn:
	tests/autobahn/run
