"""What the pipelines share: settings, defaults, notifications, publishing, auditing."""
