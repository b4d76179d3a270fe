"""The authorizer: says for API Gateway whether a JSON Web Token of an OpenID Connect issuer lets its bearer in."""
