package keel

import (
	"net/http"
	"net/url"

	"github.com/truekeel/auth/internal/place"
)

// schema is a piece of an OpenAPI document.
type schema map[string]any

// openAPI answers with the description of this dialect (OpenAPI 3.1), as it is on the
// wire.
func (d *Dialect) openAPI(w http.ResponseWriter, r *http.Request) {
	mount := ""
	if u, err := url.Parse(place.From(r.Context()).External); err == nil {
		mount = u.Path
	}
	d.answer(w, http.StatusOK, d.document(mount))
}

func (d *Dialect) document(mount string) schema {
	paths := schema{
		mount + "/providers": schema{"get": schema{
			"operationId": "providers", "summary": "List the identity providers",
			"responses": schema{"200": body("The providers", schema{"type": "array", "items": ref("ProvidersResponse")})},
		}},
		mount + "/token":  schema{"post": operation("token", "Get an access token", "TokenRequest", body("The tokens", ref("TokenResponse")))},
		mount + "/revoke": schema{"post": operation("revoke", "Revoke a refresh token", "RevokeRequest", body("Revoked", schema{"type": "null"}))},
		mount + "/openapi.json": schema{"get": schema{
			"operationId": "openapi", "summary": "This document",
			"responses": schema{"200": body("The document", schema{"type": "object"})},
		}},
	}
	for _, p := range d.shown() {
		paths[mount+"/authorize/"+p.path()] = schema{"get": journey("authorize_"+p.path(), "Go to the provider's page", "400")}
		paths[mount+"/callback/"+p.path()] = schema{"get": journey("callback_"+p.path(), "Come back from the provider", "500")}
	}
	return schema{
		"openapi": "3.1.0", "info": schema{"title": "Keel OAuth", "version": "1"},
		"paths": paths, "components": schema{"schemas": schemas(d.Human != nil)},
	}
}

func ref(name string) schema { return schema{"$ref": "#/components/schemas/" + name} }

// body is an answer with JSON of a schema.
func body(description string, of schema) schema {
	return schema{"description": description, "content": schema{jsonType: schema{"schema": of}}}
}

// operation is a POST of a form or of JSON.
func operation(id, summary, request string, ok schema) schema {
	content := schema{"schema": ref(request)}
	answers := schema{"200": ok}
	for _, status := range []string{"400", "401", "405", "429", "503"} {
		answers[status] = body("Refused", ref("TokenErrorResponse"))
	}
	return schema{
		"operationId": id, "summary": summary,
		"requestBody": schema{"required": true, "content": schema{jsonType: content, formType: content}},
		"responses":   answers,
	}
}

// journey is a way to a provider or back.
func journey(id, summary, failure string) schema {
	refused := body("Refused", ref("TokenErrorResponse"))
	if failure == "500" {
		refused = body("Failed", schema{"type": "null"})
	}
	return schema{"operationId": id, "summary": summary, "responses": schema{
		"302":   schema{"description": "Redirect", "headers": schema{"Location": schema{"schema": schema{"type": "string", "format": "uri"}}}},
		failure: refused,
	}}
}

func text() schema { return schema{"type": "string"} }

// schemas describe the bodies; captcha says that the password grant asks for one.
func schemas(captcha bool) schema {
	create := schema{"type": "boolean", "default": true}
	password, required := schema{"username": text(), "password": text(), "create_if_not_exists": create}, []string{"username", "password"}
	if captcha {
		password["captcha_token"], required = text(), append(required, "captcha_token")
	}
	return schema{
		"TokenRequest": schema{"type": "object", "oneOf": []schema{
			grant("Password", "password", password, required...),
			grant("Token Exchange", "token_exchange", schema{
				"subject_token": text(), "create_if_not_exists": create,
				"subject_token_type":   schema{"type": "string", "const": "id_token"},
				"requested_token_type": schema{"type": "string", "enum": []string{"access_token", accessTokenURN}},
			}, "subject_token"),
			grant("Authorization Code", "authorization_code", schema{"code": text(), "code_verifier": text()}, "code"),
			grant("Refresh Token", "refresh_token", schema{"refresh_token": text()}, "refresh_token"),
		}},
		"TokenResponse": object(schema{
			"access_token": text(), "token_type": schema{"type": "string", "const": "bearer"},
			"expires_in": schema{"type": "integer", "format": "int32"}, "refresh_token": text(), "identity_created": schema{"type": "boolean"},
		}, "access_token", "token_type", "expires_in", "identity_created"),
		"TokenErrorResponse": object(schema{"error": text(), "error_description": text()}),
		"RevokeRequest":      schema{"type": "object", "properties": schema{"token": text()}, "required": []string{"token"}},
		"ProvidersResponse": object(schema{
			"name": text(), "type": text(), "authorizeUrl": schema{"type": "string", "format": "uri"}, "callbackUrl": schema{"type": "string", "format": "uri"},
		}, "name", "type", "authorizeUrl", "callbackUrl"),
	}
}

// grant is one form of a token request.
func grant(title, kind string, properties schema, required ...string) schema {
	properties["grant_type"] = schema{"type": "string", "const": kind, "default": kind}
	s := object(properties, append([]string{"grant_type"}, required...)...)
	s["title"], s["unevaluatedProperties"] = title, false
	return s
}

func object(properties schema, required ...string) schema {
	s := schema{"type": "object", "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}
