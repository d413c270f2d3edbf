-- What the encoder made of a text. The same text under the same model is encoded once, whichever workflow it belongs to.
CREATE TABLE vector (
  model         TEXT NOT NULL,          -- sha256 of the model's files
  text          TEXT NOT NULL,          -- sha256 of the text
  value         BLOB NOT NULL,          -- float32, little-endian, length one
  PRIMARY KEY (model, text)
) WITHOUT ROWID;
