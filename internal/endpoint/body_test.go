package endpoint_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/store"
)

// body has a field of each kind that bodies have.
type body struct {
	Email string       `json:"email"`
	Flag  *bool        `json:"flag"`
	Data  store.Object `json:"data"`
}

func TestUnmarshal(t *testing.T) {
	tests := []struct {
		name, in string
		code     fault.Code // "" if it is accepted
	}{
		{"object", `{"email":"a"}`, ""},
		{"null", `null`, ""},
		{"depth", `{"data":` + strings.Repeat(`{"a":`, 30) + `1` + strings.Repeat(`}`, 30) + `}`, ""},
		{"a level more", `{"data":` + strings.Repeat(`{"a":`, 31) + `1` + strings.Repeat(`}`, 31) + `}`, fault.ValidationFailed},
		{"brackets in text", `{"email":"` + strings.Repeat("[{", 50) + `"}`, ""},
		{"escaped quote", `{"email":"\"[\\"}`, ""},
		{"pair", `{"email":"\ud83d\ude00"}`, ""},
		{"upper case pair", `{"email":"\uD83D\uDE00"}`, ""},
		{"escaped escape", `{"email":"\\u0000\\ud800"}`, ""},
		{"NUL", `{"email":"\u0000"}`, fault.ValidationFailed},
		{"NUL key", `{"\u0000":1}`, fault.ValidationFailed},
		{"high alone", `{"email":"\ud800"}`, fault.ValidationFailed},
		{"high, then escape", `{"email":"\ud800\n"}`, fault.ValidationFailed},
		{"high, then text", `{"email":"\ud800x"}`, fault.ValidationFailed},
		{"two highs", `{"email":"\ud800\ud800"}`, fault.ValidationFailed},
		{"low alone", `{"email":"\udc00"}`, fault.ValidationFailed},
		{"double", `{"data":{"x":1.7976931348623157e308}}`, ""},
		{"many digits", `{"data":{"x":12345678901234567890123456789}}`, ""},
		{"zeroes", `{"data":{"x":0.000e999}}`, ""},
		{"too large", `{"data":{"x":1e309}}`, fault.ValidationFailed},
		{"too small", `{"data":{"x":1e-400}}`, fault.ValidationFailed},
		{"too many digits", `{"data":{"x":` + strings.Repeat("1", 129) + `}}`, fault.ValidationFailed},
		{"wrong type", `{"email":1}`, fault.BadJSON},
		{"array", `[]`, fault.BadJSON},
		{"nothing", ``, fault.BadJSON},
		{"two", `{}{}`, fault.BadJSON},
		{"UTF-8", "{\"email\":\"\xff\"}", fault.BadJSON},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b body
			require.Equal(t, tt.code, fault.CodeOf(endpoint.Unmarshal([]byte(tt.in), &b)))
		})
	}
}

// What is accepted can be kept: written as JSON it is accepted again, and means the same.
func FuzzBody(f *testing.F) {
	for _, s := range []string{
		`{"email":"a@example.com","flag":true,"data":{"x":[1,-2.5e3,{"y":null}]}}`, `{"data":{"\ud83d\ude00":"\u00e9\\u0000\""}}`, `null`, `{"data":null}`, `{"email":"\u0000"}`,
		`{"data":{"x":"\ud800"}}`, `{"data":{"x":1e999999}}`, `{"data":{"x":-0}}`, `{"EMAIL":"A","email":"b"}`, strings.Repeat(`{"data":`, 40), "{\"email\":\"\xff\"}", `{"data":{"":"\\"}}`, `[`, `"`, `{"data":{"<":"&\u2028"}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var b body
		if err := endpoint.Unmarshal(in, &b); err != nil {
			code := fault.CodeOf(err)
			require.True(t, code == fault.BadJSON || code == fault.ValidationFailed, "%v", err)
			return
		}
		require.NotContains(t, b.Email, "\x00")
		out, err := json.Marshal(b)
		require.NoError(t, err)
		var again body
		require.NoError(t, endpoint.Unmarshal(out, &again), "%s", out)
		require.Equal(t, b.Email, again.Email)
		twice, err := json.Marshal(again)
		require.NoError(t, err)
		require.JSONEq(t, string(out), string(twice))
	})
}
