// On a narrow screen the list of all pages begins closed; on a wide one it is always open.

const pages = document.getElementById("pages");
const narrow = matchMedia("(max-width: 56rem)");
const adapt = () => (pages.open = !narrow.matches);

adapt();
narrow.addEventListener("change", adapt);
