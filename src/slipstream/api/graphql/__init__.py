"""GraphQL, as much of it as MLflow's schema: what its web pages ask by it.

`language.py` reads a query, `limits.py` refuses too large ones, `schema.py` has the types and where their values come
from, `checks.py` compares query and schema, `execution.py` answers, `endpoint.py` is the route. The resolvers call the
handlers of the REST API, so both give the same values. Why no library: docs/decisions/0004-graphql.md.
"""
