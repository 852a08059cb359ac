// The groups without an alert: rows come as they are scrolled to.

import { followLink } from "./more_rows.js";

const list = document.querySelector('[data-part="rows"]');
if (list) followLink(list, document.querySelector('[data-part="told"]'));
