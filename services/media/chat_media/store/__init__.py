"""Where files are kept: their records in MongoDB, their content in GridFS or with Cloudinary."""

from chat_media.store.cloudinary import CloudinaryAccount, CloudinaryStore
from chat_media.store.files import FileStore, Usage
from chat_media.store.gridfs import GridFSStore

__all__ = ["CloudinaryAccount", "CloudinaryStore", "FileStore", "GridFSStore", "Usage"]
