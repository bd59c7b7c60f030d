"""What Mixtura's speed, memory and quality are measured with; see README.md."""
