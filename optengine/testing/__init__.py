"""Public conformance checks that every solver and problem passes, third-party ones too."""
