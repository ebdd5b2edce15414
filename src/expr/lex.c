/* Tokens of expressions. Names and keywords are ASCII; a character that is part of nothing is a
 * token of its own, so that a refusal can show it. */
#include "expr/expr_priv.h"

#include <ctype.h>
#include <strings.h>

static bool is_name_start(uint8_t c)
{
    return c < 128 && isalpha(c);
}

static bool is_name(uint8_t c)
{
    return (c < 128 && isalnum(c)) || c == '_';
}

static bool is_keyword(struct bytes word)
{
    static const char *const words[] = {"IN",  "BETWEEN", "NOT",    "AND",   "OR",
                                        "SET", "ADD",     "DELETE", "REMOVE"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (word.len == strlen(words[i]) &&
            strncasecmp((const char *)word.ptr, words[i], word.len) == 0) {
            return true;
        }
    }
    return false;
}

static struct token scan(struct lexer *lexer)
{
    const uint8_t *p = lexer->text.ptr;
    size_t len = lexer->text.len;
    size_t at = lexer->at;
    while (at < len && (p[at] == ' ' || p[at] == '\t' || p[at] == '\n' || p[at] == '\r')) {
        at++;
    }
    size_t start = at;
    struct token token = {TOKEN_SIGN, BYTES_NONE};
    if (at == len) {
        token.type = TOKEN_END;
    } else if (is_name_start(p[at])) {
        while (at < len && is_name(p[at])) {
            at++;
        }
        token.type = is_keyword(bytes_of(p + start, at - start)) ? TOKEN_KEYWORD : TOKEN_NAME;
    } else if ((p[at] == '#' || p[at] == ':') && at + 1 < len && is_name(p[at + 1])) {
        token.type = p[at] == '#' ? TOKEN_HASH : TOKEN_COLON;
        at++;
        while (at < len && is_name(p[at])) {
            at++;
        }
    } else if (p[at] >= '1' && p[at] <= '9') {
        token.type = TOKEN_NUMBER;
        while (at < len && p[at] >= '0' && p[at] <= '9') {
            at++;
        }
    } else if (p[at] == '0') {
        token.type = TOKEN_NUMBER;
        at++;
    } else if (at + 1 < len && ((p[at] == '<' && (p[at + 1] == '=' || p[at + 1] == '>')) ||
                                (p[at] == '>' && p[at + 1] == '='))) {
        at += 2;
    } else {
        at++;
        while (at < len && (p[start] & 0xc0) == 0xc0 && (p[at] & 0xc0) == 0x80) {
            at++; /* the rest of a UTF-8 character: one token */
        }
    }
    token.text = bytes_of(p + start, at - start);
    lexer->at = at;
    return token;
}

void lexer_start(struct lexer *lexer)
{
    lexer->after = scan(lexer);
    lexer_advance(lexer);
}

void lexer_advance(struct lexer *lexer)
{
    lexer->before = lexer->now;
    lexer->now = lexer->after;
    lexer->after = scan(lexer);
}

bool token_is_sign(const struct token *token, const char *sign)
{
    return token->type == TOKEN_SIGN && bytes_equal(token->text, bytes_cstr(sign));
}

bool token_is_word(const struct token *token, const char *word)
{
    return token->type == TOKEN_KEYWORD && token->text.len == strlen(word) &&
           strncasecmp((const char *)token->text.ptr, word, token->text.len) == 0;
}
