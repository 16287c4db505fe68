"""HTTP connections of both servers."""
